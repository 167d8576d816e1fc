import { chartStyle } from './palette.ts'
import type { Plot } from './plots.ts'

/** A chart as a file of its own, which brings its colours for light and dark along. */
export function renderImage ({ svg }: Plot): string {
  return svg
    .replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ')
    .replace('>', `><style>${chartStyle('svg')}</style><rect width="100%" height="100%" fill="var(--surface)"/>`) + '\n'
}
