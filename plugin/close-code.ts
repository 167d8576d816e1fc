export { closeCodes } from '../schemas/close-code.ts'
