import net from 'node:net';
import { join } from 'node:path';
import type { HomePaths } from '../home.js';
import { writePrivate } from './files/private-file.js';
import type { MemberSpec } from './member.js';

interface ManagedRedis {
  port: number;
  password: string;
}

/** `redis-server` with an append-only file and no eviction, so that acknowledged writes survive. */
export function redisSpec(paths: HomePaths, { port, password }: ManagedRedis, inherited: MemberSpec['env']): MemberSpec {
  const settings = join(paths.redis, 'redis.conf');
  const lines = [
    'bind 127.0.0.1',
    `port ${port}`,
    'protected-mode yes',
    `requirepass ${password}`,
    `dir ${JSON.stringify(paths.redis)}`,
    'appendonly yes',
    'appendfsync everysec',
    'save ""',
    'maxmemory-policy noeviction',
    'daemonize no',
  ];
  writePrivate(settings, `${lines.join('\n')}\n`);
  const { PATH, LANG, TZ } = inherited;
  return {
    name: 'redis',
    title: 'redis',
    command: 'redis-server',
    args: [settings],
    env: { PATH, LANG, TZ },
    logFile: join(paths.logs, 'redis.log'),
    channel: false,
  };
}

/** True when Redis answers and has loaded its data. */
export function redisAnswers({ port, password }: ManagedRedis): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    let answer = '';
    const settle = (answers: boolean) => {
      socket.destroy();
      resolve(answers);
    };
    socket.setTimeout(2000, () => settle(false));
    socket.once('error', () => settle(false));
    socket.once('close', () => settle(false));
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      if (answer.includes('+PONG')) settle(true);
      else if (answer.includes('-')) settle(false);
    });
    socket.write(`AUTH ${password}\r\nPING\r\n`);
  });
}
