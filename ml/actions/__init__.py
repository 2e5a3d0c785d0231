"""Side effects, one module apiece: what Airflow's tasks (and `bellwether run`) do around the pure stages.

    ingest   open -> (stages) -> seal
    retrain  open -> (stages) -> record -> approve -> promote
    publish  score with the champion -> warehouse tables and pages, swapped in atomically

    doctor   ledger, registry, data and publications: do they agree; mend what is safe

What passes between them is a run id; everything else is read from the workspace and the ledger.
"""
