// json_text: where the values are in a JSON text. JSON.parse forgets how a value was written, and
// args must come back as they were written. Reads text that JSON.parse accepts.

const SPACE = new Set([' ', '\t', '\n', '\r'])

// The tree of a text: { kind, start, end, members: Map(key → node) | items: [node] }.
export function jsonTree(text) {
  let at = 0
  const space = () => {
    while (SPACE.has(text[at])) {
      at++
    }
  }
  const stringEnd = () => {
    for (at++; text[at] !== '"'; at++) {
      if (text[at] === '\\') {
        at++
      }
    }
    at++
  }
  const value = () => {
    space()
    const node = { kind: 'scalar', start: at, end: at }
    if (text[at] === '{' || text[at] === '[') {
      const isObject = text[at] === '{'
      node.kind = isObject ? 'object' : 'array'
      node.members = new Map()
      node.items = []
      at++
      space()
      while (text[at] !== '}' && text[at] !== ']') {
        if (isObject) {
          const keyStart = at
          stringEnd()
          const key = JSON.parse(text.slice(keyStart, at))
          space()
          at++ // the colon
          node.members.set(key, value())
        } else {
          node.items.push(value())
        }
        space()
        if (text[at] === ',') {
          at++
          space()
        }
      }
      at++
    } else if (text[at] === '"') {
      stringEnd()
    } else {
      while (at < text.length && !',]} \t\r\n'.includes(text[at])) {
        at++
      }
    }
    node.end = at
    return node
  }
  JSON.parse(text) // refuses what this reader would misread
  return value()
}

// The text of each `args` of a page's events, in order; null for an event without.
export function argsTexts(text) {
  const found = []
  const walk = (node) => {
    const event = node.members?.get('eventEncoded')
    if (event) {
      const args = event.members.get('args')
      found.push(args ? text.slice(args.start, args.end) : null)
      return
    }
    node.members?.forEach(walk)
    node.items?.forEach(walk)
  }
  walk(jsonTree(text))
  return found
}
