import { serve } from '../serve.ts'
import { buildWall } from './app.ts'

await serve(buildWall, 'The wall', 'npm run start:htmx')
