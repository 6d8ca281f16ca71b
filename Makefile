# `make` alone says what there is to do.
SHELL := /bin/bash
CONFIGURATION ?= debug
STAGE := scripts/stage

.PHONY: help bootstrap build release run test test-demo-api test-integration test-docker counters sanitize sanitize-long \
	fuzz format lint bench clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-18s %s\n", $$1, $$2 }'

bootstrap: ## install what is missing (Debian and Ubuntu)
	@scripts/bootstrap

build: bootstrap ## debug build
	swift build

release: bootstrap ## optimised build of the gateway
	scripts/build-release

run: release ## the demo: Redis, the users API, the gateway on :8080; Ctrl-C ends all three
	@scripts/run-demo

test: ## everything that CI runs
	@$(STAGE) "bootstrap" scripts/bootstrap
	@$(STAGE) "lint" $(MAKE) --no-print-directory lint
	@$(STAGE) "tokens of JWTKit" scripts/mint-jwtkit
	@$(STAGE) "AddressSanitizer, unit tests beside NIOHTTP1 and JWTKit" \
		env GATEWAY_ORACLE=1 JWTKIT_TOKENS=$(CURDIR)/.run/jwtkit.json scripts/sanitize address
	@$(STAGE) "fuzzing, a short while" scripts/fuzz all 30
	@$(STAGE) "ThreadSanitizer" scripts/sanitize thread
	@$(STAGE) "release build" scripts/build-release
	@$(STAGE) "integration tests" integration_tests/run_all_tests.sh all --reruns 2 -n 3 --dist worksteal
	@$(STAGE) "counters of system calls and allocations" $(MAKE) --no-print-directory counters
	@$(STAGE) "demo API by itself" $(MAKE) --no-print-directory test-demo-api
	@$(STAGE) "Docker" scripts/docker-stage
	@echo "All stages passed."

test-demo-api: bootstrap
	.venv/bin/python -m pytest -q docker/demo-api

test-integration: release ## integration tests by themselves
	integration_tests/run_all_tests.sh all

test-docker: bootstrap ## the incident flow in containers; skipped where there is no engine
	scripts/docker-stage

counters: ## system calls and allocations per request against their limits, and a test that the limits bite
	benchmarks/guard
	.venv/bin/python -m pytest -q benchmarks

sanitize: bootstrap ## unit tests and a part of the integration tests under AddressSanitizer, then ThreadSanitizer
	scripts/sanitize address
	scripts/sanitize thread

sanitize-long: bootstrap ## the same with nearly all integration tests
	scripts/sanitize address long
	scripts/sanitize thread long

fuzz: bootstrap ## fuzz every target for SECONDS=60; docs/fuzzing.md says what for
	scripts/fuzz all $(or $(SECONDS),60)

bench: release ## CPU, system calls, latency, memory beside haproxy, nginx and envoy (25 minutes)
	@scripts/bootstrap bench
	benchmarks/run --no-build --assert-plain

format: ## format the Swift sources
	swift format --in-place --recursive --parallel Sources Tests Package.swift

lint: ## style of Swift, shell and Python sources
	swift format lint --strict --recursive --parallel Sources Tests Package.swift
	@scripts/lint-scripts
	@scripts/check-layers
	@scripts/check-links

clean: ## remove what builds and runs left behind
	rm -rf .build .run
