// Does as little as possible: the bench measures the way to the function.
import http from 'node:http';

const body = Buffer.from('hello\n');

http
  .createServer((_request, response) => response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length }).end(body))
  .listen(Number(process.env.PORT), '0.0.0.0');
