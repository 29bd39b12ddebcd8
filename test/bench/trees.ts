/** Versions of this project to measure: a commit, or the working tree as it stands. Each is laid out in a folder of its own; git keeps no note of it. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readFile, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Fault } from '../../infra/local/fault.ts'
import { repository } from '../../infra/local/home.ts'

export interface Tree {
  /** As people know it: a short hash, with a plus for changes that are not committed. */
  readonly name: string
  /** Undefined for the working tree. */
  readonly commit: string | undefined
}

/** What was named can't be measured: wrong use, and nothing was begun. */
export class NoSuchTree extends Fault {
  override readonly name = 'NoSuchTree'
}

/** What starts a version's stack. */
const ENTRY = 'infra/local/main.mjs'

/** Without a commit: the working tree. @throws NoSuchTree. `root`: where its git is. */
export async function treeOf(ref: string | undefined, root = repository): Promise<Tree> {
  if (!(await succeeds(root, 'rev-parse', '--verify', '--quiet', 'HEAD')))
    throw new NoSuchTree(`There is no commit to compare with: ${root} is not a git repository, or has no commit yet`, 'Clone the project, then run this there')
  if (ref === undefined) {
    const changed = (await git(root, ['status', '--porcelain'])) !== ''
    return { name: `${await git(root, ['rev-parse', '--short', 'HEAD'])}${changed ? '+' : ''}`, commit: undefined }
  }
  if (!(await succeeds(root, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`)))
    throw new NoSuchTree(`'${ref}' is no commit here`, '`git log --oneline` lists those that are; `git fetch` brings those of others')
  const commit = await git(root, ['rev-parse', '--verify', '--end-of-options', `${ref}^{commit}`])
  const name = await git(root, ['rev-parse', '--short', commit])
  if (!(await succeeds(root, 'cat-file', '-e', `${commit}:${ENTRY}`)))
    throw new NoSuchTree(`${name} has no stack that could be measured: ${ENTRY} is not in it`, 'Name a later commit')
  return { name, commit }
}

/** Writes the tree's files into `folder`. Its packages are this clone's where package-lock.json is the same; else its own start installs them. */
export async function layOut(tree: Tree, folder: string, root = repository): Promise<void> {
  await mkdir(folder, { recursive: true })
  if (tree.commit === undefined) await copyWorkingTree(folder, root)
  else {
    // An index of its own: what is staged here stays as it is.
    const env = { GIT_INDEX_FILE: `${folder}.index` }
    await git(root, ['read-tree', tree.commit], env)
    await git(root, ['checkout-index', '--all', `--prefix=${folder}/`], env)
  }
  const lock = 'package-lock.json'
  const [here, there] = await Promise.all([root, folder].map((at) => readFile(join(at, lock), 'utf8').catch(() => null)))
  if (here !== null && here === there) await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
}

async function copyWorkingTree(folder: string, root: string): Promise<void> {
  const listed = await git(root, ['ls-files', '-z', '--cached', '--others', '--exclude-standard'])
  for (const file of new Set(listed.split('\0'))) {
    const from = join(root, file)
    // Deleted, and not yet committed.
    if (file === '' || !existsSync(from)) continue
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await copyFile(from, join(folder, file))
  }
}

const run = promisify(execFile)

async function git(cwd: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const { stdout } = await run('git', [...args], { cwd, env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 })
  return stdout.trim()
}

async function succeeds(cwd: string, ...args: readonly string[]): Promise<boolean> {
  return await git(cwd, args).then(
    () => true,
    () => false,
  )
}
