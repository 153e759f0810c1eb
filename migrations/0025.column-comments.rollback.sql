-- Comments go with their columns: nothing to undo.
select 1;
