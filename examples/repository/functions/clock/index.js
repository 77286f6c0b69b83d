exports.clock = (_req, res) => {
  res.json({ time: new Date().toISOString() });
};
