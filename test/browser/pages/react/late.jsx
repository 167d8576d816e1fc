import { useUpdate } from './live.ts'

export default function Late () {
  return <p id="late">{useUpdate('notice')?.text ?? 'nothing'}</p>
}
