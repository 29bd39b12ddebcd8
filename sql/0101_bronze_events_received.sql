-- For questions about the last minutes (latency, metrics). A block range index: rows come in the order of this column, so it costs next to nothing.
create index if not exists events_received on bronze.events using brin (received_at) with (autosummarize = on);
