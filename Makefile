# What can be done here. `make lint test` is the gate.

SHELL := bash
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
FUZZTIME ?= 10m

.DEFAULT_GOAL := help

.PHONY: help
help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the static binary bin/sparekey
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.release=$(VERSION)" -o bin/sparekey ./cmd/sparekey

.PHONY: setup
setup: ## Install what the tests need beyond Go and make
	@script/setup

.PHONY: test
test: setup ## Run all tests, with the race detector
	@script/test

.PHONY: lint
lint: ## Check the code: vet, linters, tidiness, no skipped tests
	@script/lint

.PHONY: format
format: ## Format the code
	go tool -modfile=tools/go.mod golangci-lint fmt ./...

.PHONY: contract
contract: setup ## Hold server and clients against the contract, and it against its history
	go test -race ./api ./client ./internal/httpapi/...
	go test -race -run 'Contract|JSClient|Readme' ./e2e

.PHONY: faults
faults: setup ## Hold the promises while databases, mail servers, disks and processes fail (as root; half an hour)
	set -o pipefail; SPAREKEY_FAULTS=long go test -count=1 -timeout 90m -run 'TestFaults' -v ./e2e | grep -E '^\||^( *--- |FAIL|ok|panic)'

.PHONY: screenshots
screenshots: setup ## Picture every page and mail, light and dark, on a phone and a desktop, into screenshots/
	rm -rf screenshots
	mkdir screenshots
	SPAREKEY_SCREENSHOTS=$(CURDIR)/screenshots go test -count=1 -timeout 30m -run 'TestEveryPageIsForEverybody|TestEveryMailFits' ./internal/web ./internal/mail/shottest
	@echo "look at screenshots/"

.PHONY: bench
bench: setup ## Measure against what machine and directories can do by themselves; prints a table of ratios (as root; 20 minutes)
	go run ./bench

.PHONY: leak
leak: setup ## Measure whether known and unknown addresses can be told apart by time (half an hour)
	go run ./bench -leak 20000

.PHONY: fuzz
fuzz: ## Fuzz every parser for FUZZTIME each (10m)
	@FUZZTIME=$(FUZZTIME) script/fuzz

.PHONY: cover
cover: setup ## Say how much of each package the tests reach
	@script/test -coverprofile=coverage.out
	@go tool cover -func=coverage.out | tail -n 1

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin coverage.out
