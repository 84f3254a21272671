#!/usr/bin/env node
// Exists before the build does, so that installing links the command; the program is what was built.
import '../dist/bin.js'
