// wire: a byte stream (TCP or TLS) that keeps what it has received until somebody takes it, and on
// which a test can wait. Everything else here stands on it. Waiting is for events: a probe is asked
// again whenever bytes or the end arrive; the time-out is only a guard that fails the test.
import net from 'node:net'
import tls from 'node:tls'

export const GUARD_MS = Number(process.env.SLUICE_TEST_GUARD_MS ?? 15_000)

export class Wire {
  constructor(socket) {
    this.socket = socket
    this.buffer = Buffer.allocUnsafe(16 * 1024)
    this.start = 0
    this.end = 0
    this.peerEnded = false // the peer has said that nothing more will come
    this.closed = false
    this.error = null
    this.failure = null // what `onBytes` threw: the peer broke the protocol
    this.waiters = new Set()
    this.onBytes = null // told after each arrival, before the waiters are
    socket.on('data', (data) => this.#take(data))
    socket.on('end', () => {
      this.peerEnded = true
      this.wake()
    })
    socket.on('error', (error) => {
      this.error = error
      this.wake()
    })
    socket.on('close', () => {
      this.closed = true
      this.peerEnded = true
      this.wake()
    })
  }

  static connect({ port, host = '127.0.0.1', ca = null, allowHalfOpen = false }) {
    return new Promise((resolve, reject) => {
      const socket = ca
        ? tls.connect({ port, host, ca, servername: 'localhost', allowHalfOpen })
        : net.connect({ port, host, allowHalfOpen })
      socket.setNoDelay(true)
      socket.once('error', reject)
      socket.once(ca ? 'secureConnect' : 'connect', () => {
        socket.off('error', reject)
        resolve(new Wire(socket))
      })
    })
  }

  #take(data) {
    if (this.end + data.length > this.buffer.length) {
      const kept = this.end - this.start
      const grown =
        kept + data.length > this.buffer.length ? Buffer.allocUnsafe(2 * (kept + data.length)) : this.buffer
      this.buffer.copy(grown, 0, this.start, this.end)
      this.buffer = grown
      this.start = 0
      this.end = kept
    }
    data.copy(this.buffer, this.end)
    this.end += data.length
    try {
      this.onBytes?.()
    } catch (error) {
      this.failure ??= error
    }
    this.wake()
  }

  // What has come and was not taken; valid until more arrives.
  get bytes() {
    return this.buffer.subarray(this.start, this.end)
  }

  skip(count) {
    this.start += count
    if (this.start === this.end) {
      this.start = 0
      this.end = 0
    }
  }

  write(data) {
    if (!this.closed && !this.socket.destroyed && !this.socket.writableEnded) {
      this.socket.write(data)
    }
  }

  destroy() {
    this.socket.destroy()
  }

  wake() {
    for (const waiter of [...this.waiters]) {
      waiter()
    }
  }

  // Resolves with the first truthy value of `probe`. Fails when the connection closes without it.
  until(probe, what, { evenClosed = false } = {}) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => settle(reject, new Error(`nothing came for ${GUARD_MS} ms: ${what}`)),
        GUARD_MS,
      )
      const settle = (how, value) => {
        clearTimeout(timer)
        this.waiters.delete(check)
        how(value)
      }
      const check = () => {
        let value
        try {
          value = probe()
        } catch (error) {
          settle(reject, error)
          return
        }
        if (this.failure) {
          settle(reject, this.failure)
        } else if (value) {
          settle(resolve, value)
        } else if (this.closed && !evenClosed) {
          const why = this.error ? ` (${this.error.message})` : ''
          settle(reject, new Error(`the connection closed${why}: ${what}`))
        }
      }
      this.waiters.add(check)
      check()
    })
  }

  untilClosed(what = 'the connection closes') {
    return this.until(() => this.closed, what, { evenClosed: true })
  }
}

// For what is not an event on a wire: that something does NOT happen in a span of time, or to
// spread bytes over time.
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
