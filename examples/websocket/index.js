const { acceptWebSocket } = require('./websocket.js');

/** Plain requests. */
exports.websocket = (_req, res) => res.send('connect a WebSocket to this address: it says everything back\n');

/** WebSocket handshakes come here, with the raw socket, as in the `upgrade` event of Node's HTTP server. */
exports.upgrade = (req, socket, head) => {
  acceptWebSocket(req, socket, head, (message, send) => send(message));
};
