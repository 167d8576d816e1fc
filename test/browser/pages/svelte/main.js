import { hydrate, mount } from 'svelte'
import { live } from './live.ts'
import Page from './Page.svelte'

globalThis.live = live
const target = document.querySelector('#root')
if (target.firstElementChild) hydrate(Page, { target })
else mount(Page, { target })
