exports.hello = {
  func: async (req, res) => {
    res.json({ message: `Hello, ${req.query.name ?? 'world'}!` });
  },
  config: { timeout: 10_000 },
};
