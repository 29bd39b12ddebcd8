/**
 * Writes the generated files of `sql/` from `shared/pipeline.ts`, and removes those of tables that have gone.
 * `npm run generate`; a test fails when the files are not what this would write.
 */
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generatedFiles, isGenerated } from '../../shared/mappings/silver-ddl.ts'
import { pipeline } from '../../shared/pipeline.ts'

export const sqlFolder = join(import.meta.dirname, '..', '..', 'sql')

if (import.meta.main) {
  const files = generatedFiles(pipeline)
  const names = new Set(files.map((file) => file.name))
  for (const name of await readdir(sqlFolder)) {
    if (isGenerated(name) && !names.has(name)) await rm(join(sqlFolder, name))
  }
  for (const file of files) await writeFile(join(sqlFolder, file.name), file.text)
  console.log(`sql/: ${files.length} files written from shared/pipeline.ts`)
}
