#!/usr/bin/env node
// Exists before the build does, so that installing links the command; the program is what was built.
import { existsSync } from 'node:fs'

const built = new URL('../dist/bin.js', import.meta.url)
if (existsSync(built)) await import(built.href)
else {
  process.stderr.write('error: quorate is not built yet\n  next: npm run build   (npm start builds it too)\n')
  process.exitCode = 1
}
