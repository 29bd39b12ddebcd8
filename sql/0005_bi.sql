-- What people and BI tools read: views of the living rows.
create schema if not exists bi;
revoke all on schema bi from public;
