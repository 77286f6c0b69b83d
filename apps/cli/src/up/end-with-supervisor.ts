import process from 'node:process';

// Loaded into each Node child before its own program. When the supervisor is gone, however it ended, the channel to it
// closes: the child then ends as it would on SIGTERM.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
// The channel alone is no reason to go on.
process.channel?.unref();
