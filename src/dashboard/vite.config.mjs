import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

// The page is served with `default-src 'self'`: nothing inline, nothing as data: URLs, nothing from elsewhere.
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../../dist/dashboard',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/api': process.env.CASTOR_ADMIN ?? 'http://127.0.0.1:9900' } },
})
