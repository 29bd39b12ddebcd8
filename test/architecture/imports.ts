/** Reads a file's imports and judges them by layers.ts. */
import { posix } from 'node:path'
import { layerOf } from './layers.ts'

/** The specifiers a module names: static, type-only, re-exported and dynamic ones. Comments and template texts don't count. */
export function importsOf(source: string): readonly string[] {
  const code = source.replaceAll(/\/\*[^]*?\*\/|(?<=^|\s)\/\/.*$/gm, '').replaceAll(/`(?:\\.|[^`\\])*`/g, '``')
  const statements = /(?:^|[\n;])\s*(?:import|export)\b(?:[^'";]*?\bfrom)?\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g
  return [...code.matchAll(statements)].map(([, fixed, dynamic]) => fixed ?? dynamic ?? '')
}

/** What is wrong with the imports of a file, in words that say where the rule stands. */
export function violationsOf(path: string, source: string, exists: (path: string) => boolean): readonly string[] {
  const layer = layerOf(path)
  if (layer === undefined)
    return [
      `LAYER VIOLATION ${path} lies in no layer. Put it where "The folders" in README.md says, or add its layer to test/architecture/layers.ts and DECISIONS.md.`,
    ]
  return importsOf(source).flatMap((specifier) => {
    const broken = (rule: string) => [
      `LAYER VIOLATION ${path} imports ${specifier}: ${rule}. See "The folders" in README.md, test/architecture/layers.ts and DECISIONS.md.`,
    ]
    if (!specifier.startsWith('.')) {
      const name =
        specifier.startsWith('node:') || specifier.startsWith('cloudflare:')
          ? specifier
          : specifier
              .split('/')
              .slice(0, specifier.startsWith('@') ? 2 : 1)
              .join('/')
      if (layer.packages.includes('*') || layer.packages.includes(name)) return []
      return broken(`${layer.at} may import ${layer.packages.length === 0 ? 'no package' : `only the packages ${layer.packages.join(', ')}`}`)
    }
    const target = posix.join(posix.dirname(path), specifier)
    if (!exists(target)) return broken('there is no such file; imports are relative and end as the file does, .ts included')
    if (target.startsWith(layer.at) || layer.may.some((allowed) => target.startsWith(allowed))) return []
    return broken(`${layer.at} may import only itself and ${layer.may.join(', ')}`)
  })
}
