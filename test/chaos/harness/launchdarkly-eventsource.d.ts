declare module 'launchdarkly-eventsource' {
  export class EventSource {
    readonly readyState: number
    constructor (url: string)
    addEventListener (name: string, listener: (event: any) => void): void
    close (): void
  }
}
