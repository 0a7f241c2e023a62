// The table: for each measure of each row, the medians of Sluice and what it is compared with, the
// ratios, and whether they are what was aimed at.

const number = (value) => {
  if (typeof value !== 'number') return value ?? ''
  if (!Number.isFinite(value)) return 'none'
  if (value >= 100) return Math.round(value).toLocaleString('en')
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

export const median = (values) => {
  const known = values.filter((value) => typeof value === 'number').sort((a, b) => a - b)
  return known.length === 0 ? values[0] : known[Math.floor((known.length - 1) / 2)]
}

const ratioOf = (ours, theirs) =>
  median(ours.map((value, i) => (typeof value === 'number' && typeof theirs[i] === 'number' ? value / theirs[i] : undefined)))

/** "34 × (≥ 30)", with what it was aimed at, and "✗" where it is missed. */
const compare = (ratio, aim, more) => {
  if (!Number.isFinite(ratio)) return '' // one of the two did nothing at all in its time
  const text = ratio >= 10 ? ratio.toFixed(0) : ratio >= 0.1 ? ratio.toFixed(2) : `1/${Math.round(1 / ratio)}`
  if (aim === undefined) return `${text} ×`
  const aimed = aim < 0.1 ? `1/${Math.round(1 / aim)}` : `${aim}`
  const missed = more ? ratio < aim : ratio > aim
  return `${text} × (${more ? '≥' : '≤'} ${aimed})${missed ? ' ✗' : ''}`
}

/**
 * One line for each measure. `results` has, for each contender, what each round gave.
 * A measure: `{ name, of, unit, less, reference, limit, most }`: `of` finds the value in a result, `less` says
 * that less is better, `reference` and `limit` are the ratios aimed at, `most` the value aimed at.
 */
export const linesOf = (row, results) =>
  row.measures.map((measure) => {
    const of = (contender) => (results[contender] ?? []).map((result) => (typeof result === 'string' ? result : measure.of(result)))
    const [ours, reference, limit] = [of('sluice'), of('reference'), of('limit')]
    const toReference = ratioOf(ours, reference)
    const toLimit = ratioOf(ours, limit)
    const most = measure.most !== undefined ? ` (≤ ${measure.most})${median(ours) > measure.most ? ' ✗' : ''}` : ''
    const busy = Object.entries(results)
      .filter(([, all]) => median(all.map((result) => result.load_cpu ?? 0)) >= 0.9)
      .map(([contender]) => contender)
    return {
      work: row.name,
      measure: measure.name,
      sluice: `${number(median(ours))}${most}`,
      reference: number(median(reference)),
      'to reference': compare(toReference, measure.reference, !measure.less),
      limit: number(median(limit)),
      'to limit': compare(toLimit, measure.limit, !measure.less),
      'load CPU': `${Math.round(100 * median(results.sluice.map((result) => result.load_cpu ?? 0)))} %${busy.length > 0 ? ` busy: ${busy.join()}` : ''}`,
    }
  })

const columns = ['work', 'measure', 'sluice', 'reference', 'to reference', 'limit', 'to limit', 'load CPU']
const widths = { work: 40, measure: 24 }

export const tableHead = () => {
  const cells = columns.map((name) => name.padEnd(widths[name] ?? 14))
  return `| ${cells.join(' | ')} |\n|${cells.map((cell) => '-'.repeat(cell.length + 2)).join('|')}|`
}
export const tableLine = (line) =>
  `| ${columns.map((name) => String(line[name] ?? '').padEnd(widths[name] ?? 14)).join(' | ')} |`
