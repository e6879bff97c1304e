package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// River is a queue in PostgreSQL. RIVER_MAX_WORKERS (default 100) and RIVER_FETCH_COOLDOWN_MS (default its own) tune
// it; the cooldown also bounds how often an inserting client notifies, so producers have it as well.
type River struct{ ctx context.Context }

type riverWorker struct {
	river.WorkerDefaults[Run]
	seen func(Run)
}

func (w *riverWorker) Work(_ context.Context, job *river.Job[Run]) error {
	w.seen(job.Args)
	return nil
}

// once is a schedule of one instant.
type once struct{ due time.Time }

func (o once) Next(now time.Time) time.Time {
	if now.Before(o.due) {
		return o.due
	}
	return now.AddDate(1, 0, 0)
}

func newRiver() Peer { return River{context.Background()} }

func (r River) pool(size int) *pgxpool.Pool {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	must(err)
	config.MaxConns, config.MinConns = int32(size), int32(size)
	pool, err := pgxpool.NewWithConfig(r.ctx, config)
	must(err)
	must(pool.Ping(r.ctx))
	return pool
}

func (r River) client(connections int, config *river.Config) *river.Client[pgx.Tx] {
	config.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	if milliseconds, err := strconv.Atoi(os.Getenv("RIVER_FETCH_COOLDOWN_MS")); err == nil {
		config.FetchCooldown = time.Duration(milliseconds) * time.Millisecond
	}
	client, err := river.NewClient(riverpgxv5.New(r.pool(connections)), config)
	must(err)
	return client
}

func (r River) Setup() {
	migrator, err := rivermigrate.New(riverpgxv5.New(r.pool(1)), nil)
	must(err)
	_, err = migrator.Migrate(r.ctx, rivermigrate.DirectionUp, nil)
	must(err)
}

func (r River) Producer(callers int) func(Run) {
	client := r.client(callers, &river.Config{})
	return func(run Run) {
		_, err := client.Insert(r.ctx, run, nil)
		must(err)
	}
}

func (r River) Fill(runs int64) {
	client := r.client(2, &river.Config{})
	for first := int64(0); first < runs; first += batch {
		var inserts []river.InsertManyParams
		for id := first; id < min(first+batch, runs); id++ {
			inserts = append(inserts, river.InsertManyParams{Args: newRun(id)})
		}
		_, err := client.InsertManyFast(r.ctx, inserts)
		must(err)
	}
}

func (r River) start(seen func(Run), periodic []*river.PeriodicJob) func() {
	workers := river.NewWorkers()
	river.AddWorker(workers, &riverWorker{seen: seen})
	most, err := strconv.Atoi(os.Getenv("RIVER_MAX_WORKERS"))
	if err != nil {
		most = 100
	}
	queues := map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: most}}
	client := r.client(20, &river.Config{Workers: workers, Queues: queues, PeriodicJobs: periodic})
	must(client.Start(r.ctx))
	return func() { must(client.Stop(r.ctx)) }
}

func (r River) Work(seen func(Run)) func() { return r.start(seen, nil) }

func (r River) Schedule(count int64, due time.Time, seen func(Run)) func() {
	var jobs []*river.PeriodicJob
	for id := range count {
		jobs = append(jobs, river.NewPeriodicJob(once{due}, func() (river.JobArgs, *river.InsertOpts) {
			return newRun(id), nil
		}, nil))
	}
	return r.start(seen, jobs)
}

func (r River) Left() (left int64) {
	connection, err := pgx.Connect(r.ctx, os.Getenv("DATABASE_URL"))
	must(err)
	defer connection.Close(r.ctx)
	must(connection.QueryRow(r.ctx, "SELECT count(*) FROM river_job WHERE state <> 'completed'").Scan(&left))
	return left
}
