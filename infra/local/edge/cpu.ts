/**
 * CPU that a process' main thread has used, in milliseconds, from the kernel: Deno runs JavaScript there, while V8's and
 * Tokio's helpers have threads of their own, which the cloud doesn't count either. Undefined where there is no /proc
 * (macOS) or when the process is gone: no CPU limit is applied then.
 */
export function threadCpuMs(pid: number): number | undefined {
  const task = `/proc/${pid}/task/${pid}`
  try {
    return Number(Deno.readTextFileSync(`${task}/schedstat`).split(' ')[0]) / 1e6
  } catch {
    return fromStat(task)
  }
}

/** Kernels without schedstat count in ticks of 10 ms. */
function fromStat(task: string): number | undefined {
  try {
    const fields = Deno.readTextFileSync(`${task}/stat`).split(') ').at(-1)?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return undefined
  }
}
