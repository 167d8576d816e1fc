import { useState } from 'react'
import { Host } from './host.tsx'

// What a test changes: which hosts are shown.
export function Hosts () {
  const [ids, setIds] = useState(['a', 'a', 'no'])
  globalThis.showHosts = setIds
  return <div id="hosts">{ids.map((id, index) => <Host key={index} id={id} />)}</div>
}
