/** Colours for light and for dark, told apart with any kind of sight, and the rules by which charts use them. */
const light = ['#2a78d6', '#008300', '#b06a00', '#4a3aa7', '#d13438']
const dark = ['#5c9ff0', '#3fae5a', '#d99a2b', '#a49bf0', '#f07878']

const chartRules = `
svg text { font: 13px system-ui, sans-serif; fill: var(--muted); }
svg text.name { fill: var(--tone); font-weight: 600; }
.grid { stroke: var(--line); }
.line { fill: none; stroke: var(--tone); stroke-width: 2; stroke-linejoin: round; }
.interval { stroke: var(--tone); stroke-width: 1.5; opacity: 0.55; }
.interval.over { stroke: var(--text); opacity: 0.7; }
.mark { fill: var(--tone); stroke: var(--surface); stroke-width: 1; }
.mark.derived { fill: var(--surface); stroke: var(--tone); stroke-width: 2; }
.leader { fill: none; stroke: var(--tone); opacity: 0.5; }
.bar { fill: var(--tone); }
`

function tones (colours: readonly string[]): string {
  return colours.map((colour, index) => `--series-${index}: ${colour};`).join(' ')
}

/** Style of the charts under one selector, `:root` of a page or `svg` of an image. */
export function chartStyle (root: string): string {
  return `
${root} { color-scheme: light dark; --surface: #fff; --raised: #f5f6f8; --text: #16181d; --muted: #565d6b; --line: #dfe3ea; --accent: #2a78d6; ${tones(light)} }
@media (prefers-color-scheme: dark) {
  ${root} { --surface: #14161b; --raised: #1d2027; --text: #eceef2; --muted: #a3abba; --line: #323743; --accent: #5c9ff0; ${tones(dark)} }
}
${light.map((_, index) => `.tone-${index} { --tone: var(--series-${index}); }`).join('\n')}
${chartRules}`
}
