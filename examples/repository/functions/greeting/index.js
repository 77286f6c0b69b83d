exports.greeting = (req, res) => {
  res.send(`${process.env.WORD}, ${req.query.name ?? 'world'}\n`);
};
