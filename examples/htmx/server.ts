import { serve } from '../support/serve.ts'
import { buildWall } from './app.ts'

await serve(buildWall, 'The wall', 'npm run start:htmx')
