/** `groundswell check`: validates the configuration of a region, its model and its behaviours, without starting. */
import type { Command } from 'commander';
import { formatDuration } from '../core/duration.js';
import { loadEngineConfig } from './engine.js';
import { colors, say } from './screen.js';

export function checkCommand(program: Command): void {
  program
    .command('check')
    .description('validate a region’s configuration, model and behaviours')
    .requiredOption('--region <name>', 'region: a file in config/regions')
    .option('--config <file>', 'region file instead of config/regions/<region>.yaml')
    .option('--json', 'as JSON', false)
    .addHelpText('after', '\nExample:\n  groundswell check --region sf')
    .action(async (options: { region: string; config?: string; json: boolean }) => {
      const { config, registry } = await loadEngineConfig({
        region: options.region,
        configFile: options.config,
      });
      const stages = [...registry.types.values()].map(({ behaviour, stage }) => ({
        type: behaviour.type,
        stage,
      }));
      if (options.json) {
        say(JSON.stringify({ config, stages }));
        return;
      }
      say(
        `${colors.green('ok')} region ${colors.bold(config.name)}: ${config.partitions} partitions, model ${config.model}, windows ${config.windowsMs.map(formatDuration).join(' ')}`,
      );
      for (const { type, stage } of stages) say(`   stage ${stage}  ${type}`);
    });
}
