declare module 'compression' {
  export default function compression (): unknown
}
