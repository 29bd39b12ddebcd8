-- What came in the last minute (latency, the status line) must not cost a look at all there is. Rows come in this order, so BRIN is small and cheap.
create index if not exists events_received on bronze.events using brin (received_at) with (pages_per_range = 16, autosummarize = on);
