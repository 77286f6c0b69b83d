const EVERY_MS = 100;

exports.stream = (req, res) => {
  const count = Number(req.query.count ?? 10);
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  let sent = 0;
  const send = () => {
    sent += 1;
    res.write(`id: ${sent}\ndata: ${new Date().toISOString()}\n\n`);
    if (sent >= count) res.end();
  };
  const timer = setInterval(send, EVERY_MS);
  res.on('close', () => clearInterval(timer));
  send();
};
