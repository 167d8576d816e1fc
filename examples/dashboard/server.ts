import { serve } from '../support/serve.ts'
import { buildDashboard } from './dashboard.ts'

await serve(buildDashboard, 'The dashboard', 'npm start')
