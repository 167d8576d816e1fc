import { createApp, createSSRApp } from 'vue'
import { live } from './live.ts'
import Page from './Page.vue'

globalThis.live = live
const root = document.querySelector('#root')
;(root.firstElementChild ? createSSRApp(Page) : createApp(Page)).mount(root)
