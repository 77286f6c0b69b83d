exports.slow = (req, res) => {
  const ms = Number(req.query.ms ?? 1000);
  const timer = setTimeout(() => res.json({ waited: ms }), ms);
  // The caller left, or the time is over: nobody needs the answer.
  res.on('close', () => clearTimeout(timer));
};
