mod audit_logs;
mod instances;
