// Stands in for packages that the Elasticsearch client requires and this project never calls, so that the Worker's
// bundle stays small and free of what workerd lacks. wrangler.toml points at it under [alias] for
// undici, hpagent, apache-arrow and apache-arrow/Arrow.node.
module.exports = {}
