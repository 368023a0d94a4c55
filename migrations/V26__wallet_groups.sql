-- What people keep beside the label of a watched address.
ALTER TABLE wallets ADD COLUMN group_name text, ADD COLUMN owner text, ADD COLUMN notes text;

COMMENT ON COLUMN wallets.group_name IS 'The group that it belongs to; NULL for none.';
COMMENT ON COLUMN wallets.owner IS 'Whose it is.';
COMMENT ON COLUMN wallets.notes IS 'Remarks.';
COMMENT ON COLUMN wallets.tags IS 'What it has in common with others.';
