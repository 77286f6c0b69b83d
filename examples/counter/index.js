// Lives as long as the instance: a function that is called now and then keeps it, after `idleTimeout` it starts anew.
let count = 0;

module.exports = (_req, res) => {
  count += 1;
  console.log(`call ${count}`);
  res.json({ count });
};
