-- +goose Up

-- River makes these for looking into entries by their content, which nobody does here. Each
-- entry would be put into them three times in its short life: as it comes, is leased and is done.
DROP INDEX IF EXISTS river_job_args_index;
DROP INDEX IF EXISTS river_job_metadata_index;
DROP INDEX IF EXISTS river_job_kind;
