// A server to measure, and clients that cost as little as they can: frames are masked with zeros, and of
// an answer only what it is gets looked at.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'

export const startServer = async (binary, data) => {
  const flags = ['--data', data, '--silent-connection-timeout', '0', '--log-level', 'warn']
  const child = spawn(binary, ['serve', '--listen', '127.0.0.1:0', ...flags], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  for await (const text of child.stdout.setEncoding('utf8')) {
    output += text
    const port = /listening on \S+:(\d+)\n/.exec(output)?.[1]
    if (port !== undefined) return { port, pid: child.pid, stop: () => (child.kill(), once(child, 'exit')) }
  }
  throw new Error('the server did not start')
}

export const residentBytes = (pid) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024

/** Seconds of processor time that a process has used. */
export const cpuSeconds = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** One text frame as a client sends it, up to 64 KiB. */
const frame = (text) => {
  const body = Buffer.from(text)
  const head = Buffer.alloc(body.length < 126 ? 6 : 8)
  head[0] = 0x81
  head[1] = 0x80 | Math.min(body.length, 126)
  if (head.length === 8) head.writeUInt16BE(body.length, 2)
  return Buffer.concat([head, body])
}

const handshake = (storeId) =>
  `GET /?storeId=${storeId}&transport=ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'

/** Opens a WebSocket. Its text messages, up to 64 KiB, go to `socket.onMessage`. */
export const open = async (port, storeId) => {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  socket.write(handshake(storeId))
  const [answer] = await once(socket, 'data')
  if (!answer.includes(' 101 ')) throw new Error(`refused: ${answer}`)
  let rest = Buffer.alloc(0)
  socket.on('data', (piece) => {
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece])
    while (rest.length >= 4 || rest[1] === 0) {
      const start = rest[1] === 126 ? 4 : 2
      const end = start + (rest[1] === 126 ? rest.readUInt16BE(2) : rest[1])
      if (rest.length < end) return
      if (rest[0] === 0x81) socket.onMessage(rest.subarray(start, end)) // else a ping
      rest = rest.subarray(end)
    }
  })
  socket.sendText = (text) => socket.write(frame(text))
  return socket
}
