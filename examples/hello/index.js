exports.hello = {
  func: async (req, res) => {
    const name = req.query.name ?? 'world';
    console.log(`greeting ${name}`);
    res.json({ message: `Hello, ${name}!` });
  },
  config: { timeout: 10_000 },
};
