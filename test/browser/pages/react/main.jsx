import { version } from 'react'
import { createRoot, hydrateRoot } from 'react-dom/client'
import { live } from './live.ts'
import { Page } from './page.jsx'

globalThis.live = live
globalThis.reactVersion = version
const root = document.querySelector('#root')
if (root.firstElementChild) hydrateRoot(root, <Page />)
else createRoot(root).render(<Page />)
