mod instances;
