// Reads JSON values and keeps, for chosen keys, the exact text. JSON.parse would lose what a byte-exact
// log must not lose: 1.0, 9007199254740993, the order of keys, escapes, spaces.

const string = /"[^"\\]*(?:\\[^][^"\\]*)*"/y
const scalar = /[^,\]}\s]+/y
const structure = /["{}[\]]/g
const isSpace = (code) => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

class Reader {
  at = 0

  constructor(text, rawKeys) {
    this.text = text
    this.rawKeys = rawKeys
  }

  space() {
    while (isSpace(this.text.charCodeAt(this.at))) this.at++
  }

  match(pattern) {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)
    if (found === null) throw new SyntaxError(`unexpected text at ${this.at}: ${this.text.slice(this.at, this.at + 40)}`)
    this.at = pattern.lastIndex
    return found[0]
  }

  /** Goes over a value and returns its text. */
  skip() {
    const start = this.at
    const first = this.text[start]
    if (first === '"') return this.match(string)
    if (first !== '{' && first !== '[') return this.match(scalar)
    let depth = 0
    do {
      structure.lastIndex = this.at
      const found = structure.exec(this.text)
      if (found === null) throw new SyntaxError('a value does not end')
      this.at = found.index
      if (found[0] === '"') {
        this.match(string)
        continue
      }
      this.at++
      depth += found[0] === '{' || found[0] === '[' ? 1 : -1
    } while (depth > 0)
    return this.text.slice(start, this.at)
  }

  value() {
    this.space()
    const first = this.text[this.at]
    if (first === '{') return this.object()
    if (first === '[') return this.array()
    return JSON.parse(this.skip())
  }

  object() {
    const object = {}
    this.at++
    this.space()
    while (this.text[this.at] !== '}') {
      const key = JSON.parse(this.match(string))
      this.expect(':')
      this.space()
      object[key] = this.rawKeys.has(key) ? this.skip() : this.value()
      this.next('}')
    }
    this.at++
    return object
  }

  array() {
    const array = []
    this.at++
    this.space()
    while (this.text[this.at] !== ']') {
      array.push(this.value())
      this.next(']')
    }
    this.at++
    return array
  }

  expect(character) {
    this.space()
    if (this.text[this.at] !== character) throw new SyntaxError(`expected ${character} at ${this.at}`)
    this.at++
  }

  next(end) {
    this.space()
    if (this.text[this.at] === ',') {
      this.at++
      this.space()
    } else if (this.text[this.at] !== end) {
      throw new SyntaxError(`expected , or ${end} at ${this.at}`)
    }
  }
}

/** Like JSON.parse, but the values of `rawKeys` come as their text. */
export const parseKeeping = (text, ...rawKeys) => {
  const reader = new Reader(text, new Set(rawKeys))
  const value = reader.value()
  reader.space()
  if (reader.at !== text.length) throw new SyntaxError(`text after the value, at ${reader.at}`)
  return value
}
