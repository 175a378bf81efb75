'use strict';

const { controller, ec2, send } = require('./util');

/** Starts the instance. One that is running already stays as it is. */
exports.handler = controller('start', async (instanceId) => {
  const { StartInstancesCommand } = ec2();
  const { StartingInstances: [instance] } = await send(new StartInstancesCommand({ InstanceIds: [instanceId] }));
  return instance.CurrentState.Name;
});
