import process from 'node:process';

// Loaded into each Node child before its own program. When the supervisor ends, in whatever way, the channel to it
// closes. The child then sends itself SIGTERM.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
// The channel alone must not keep the process alive.
process.channel?.unref();
