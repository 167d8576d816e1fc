import { serve } from '../serve.ts'
import { buildDashboard } from './dashboard.ts'

await serve(buildDashboard, 'The dashboard', 'npm start')
